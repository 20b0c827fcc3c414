"""Drives the sandbox with 1MSG's own SDK and prints what came back as one JSON object.

The SDK checks every answer against its models, so an answer of the wrong shape ends this with an
error. Arguments: base URL with the channel, token, namespace, phone, webhook URL.
"""

import json
import sys

import one_msg_sdk as sdk

base_url, token, namespace, phone, webhook_url = sys.argv[1:]


def refusal(call):
    """Status and body of a call that must fail."""
    try:
        call()
    except sdk.ApiException as error:
        return {"status": error.status, "body": json.loads(error.body)}
    raise SystemExit("a call that should have been refused was accepted")


def template(**changes):
    texts = ["Maria", "home delivery", "New window: June 25 from 10:00 AM to 12:00 PM."]
    fields = {
        "template": "service_change",
        "namespace": namespace,
        "language": sdk.SendTemplateRequestLanguage(policy="deterministic", code="en"),
        "phone": phone,
        "params": [
            {"type": "body", "parameters": [{"type": "text", "text": text} for text in texts]}
        ],
    }
    return sdk.SendTemplateRequest(**{**fields, **changes})


with sdk.ApiClient(sdk.Configuration(host=base_url)) as client:
    templates = sdk.TemplatesApi(client)
    webhooks = sdk.WebhooksApi(client)
    channel = sdk.ChannelApi(client)

    listed = templates.list_templates(token=token)
    before = webhooks.get_webhook(token=token)
    was_set = webhooks.set_webhook(
        token=token, get_webhook200_response=sdk.GetWebhook200Response(webhook_url=webhook_url)
    )
    report = {
        "total": listed.total,
        "templates": [
            [row["name"], row["namespace"], row["language"], row["status"]]
            for row in listed.templates
        ],
        "status": channel.get_status(token=token)["status"],
        "webhook_before": before.webhook_url,
        "vertical": sdk.ProfileApi(client).get_me(token=token).vertical,
        "webhook_set": was_set,
        "webhook_after": webhooks.get_webhook(token=token).webhook_url,
        "sent": templates.send_template(token=token, send_template_request=template()),
        "wrong_token": refusal(lambda: templates.list_templates(token="stale")),
        "no_namespace": refusal(
            lambda: templates.send_template(
                token=token, send_template_request=template(namespace=None)
            )
        ),
        "no_parameters": refusal(
            lambda: templates.send_template(token=token, send_template_request=template(params=[]))
        ),
    }
print(json.dumps(report))
