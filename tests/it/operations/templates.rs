//! What `rowbell check` says of templates that are not at the provider as the configuration has them.

use rowbell::config::{Config, load};
use rowbell::operations::templates::compare;
use rowbell_lab::demo::scratch::Scratch;
use rowbell_lab::sandbox::{ChannelOptions, Sandbox, SandboxOptions, TemplateOptions};

const CONFIG: &str = r#"
[channel.main]
provider   = "1msg"
channel_id = "ODI371267300"
token_file = "TOKEN"
base_url   = "PROVIDER"
[template.good]
name      = "service_change"
namespace = "3f1c0000_sandbox"
language  = { default = "en", es = "es" }
body      = ["{{ recipient.name }}", "{{ service }}", "{{ summary }}"]
text.en   = "Hello, {{1}}! The status of your {{2}} has been updated. {{3}} If you need  help — we are here."
[template.misspelt]
name      = "service_chance"
namespace = "3f1c0000_sandbox"
language  = "en"
body      = ["{{ summary }}"]
[template.tongues]
name      = "service_change"
namespace = "other"
language  = { default = "en_US", es = "es" }
body      = ["{{ recipient.name }}", "{{ summary }}"]
text.es   = "Hola, {{1}}: {{2}}"
category  = "marketing"
[template.stopped]
name      = "stopped"
namespace = "3f1c0000_sandbox"
language  = { default = "en", es = "es" }
body      = ["{{ recipient.name }}", "{{ service }}", "{{ summary }}"]
[template.unused]
name      = "nowhere"
namespace = "n"
language  = "en"
body      = ["{{ summary }}"]
"#;

fn config(sandbox: &Sandbox, token: &str) -> (Config, Scratch) {
    let folder = Scratch::new("test").unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, token).unwrap();
    let mut text =
        CONFIG.replace("PROVIDER", &sandbox.url()).replace("TOKEN", &file.display().to_string());
    for template in ["good", "misspelt", "tongues", "stopped"] {
        text += &format!(
            "[watch.{template}]\ntable = \"t\"\nchannel = \"main\"\ntemplate = \"{template}\"\ncolumns = [\"a\"]\n\
             recipient = \"select 1\"\nservice = \"x\"\n"
        );
    }
    (load::from_text(&text).unwrap(), folder)
}

fn sandbox() -> Sandbox {
    let stopped = |language: &str, status: &str| TemplateOptions {
        name: "stopped".into(),
        language: language.into(),
        status: status.into(),
        header: Some("For {{1}}".into()),
        ..TemplateOptions::default()
    };
    let mut templates = TemplateOptions::service_change();
    templates.extend([stopped("en", "PAUSED"), stopped("es", "rejected")]);
    let channel = ChannelOptions { templates, ..ChannelOptions::default() };
    Sandbox::start(SandboxOptions { channels: vec![channel], ..SandboxOptions::default() }).unwrap()
}

#[tokio::test]
async fn every_difference_is_a_sentence_that_says_what_to_do() {
    let sandbox = sandbox();
    let (config, _folder) = config(&sandbox, "sandbox-token");
    let compared = compare(&config).await;
    assert_eq!(compared.warnings(), [""; 0]);
    insta::assert_snapshot!(compared.problems().join("\n"));
}

#[tokio::test]
async fn a_refused_token_is_a_mistake_and_a_provider_that_is_away_is_not() {
    let sandbox = sandbox();
    let (mut config, _folder) = config(&sandbox, "other-token");
    let refused = compare(&config).await.problems().join("\n");
    assert!(
        refused.starts_with("channel.main.token_file: the provider refuses it (401)"),
        "{refused}"
    );
    assert!(!refused.contains("other-token"), "{refused}");
    let channel = config.channel.get_mut("main").unwrap();
    let rowbell::config::ChannelKind::OneMsg(settings) = &mut channel.kind else { panic!() };
    settings.base_url = "http://127.0.0.1:1".to_owned();
    let away = compare(&config).await;
    assert_eq!((away.problems().len(), away.warnings().len()), (0, 1), "{away:?}");
}
