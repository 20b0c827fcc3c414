-- 16_destination: whether the provider posts to our webhook, as it says itself.

alter table rowbell.witness
    drop constraint witness_is_webhook_or_polling,
    add constraint witness_is_known check (witness in ('webhook', 'polling', 'destination'));
comment on table  rowbell.witness is 'What can tell of the receipts of a channel, and when it did last. One of which nothing is known yet is absent.';
comment on column rowbell.witness.witness is 'webhook: what was posted to us. polling: the provider when it is asked for receipts. destination: whether it posts to us, as it says itself.';
comment on column rowbell.witness.state is 'works; missing: the provider does not have it; failing: it could not be asked, or has given us up.';
