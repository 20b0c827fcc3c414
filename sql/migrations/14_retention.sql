-- 14_retention: personal data goes after a time, facts after a longer one, and both when a person asks.

-- A blanked message keeps what happened, when, and how it ended; who was told and in which words is gone.
alter table rowbell.message
    add column blanked_at timestamptz;
comment on column rowbell.message.blanked_at is 'When its personal data was removed: rows, recipient, words, and the texts of its attempts and receipts. What came before it is old news: later changes are compared with the row as it was before them.';
comment on column rowbell.message.parameters is 'The body variables of the template, in order: a JSON array of texts; empty once the message is blanked.';

comment on table  rowbell.receipt is 'Evidence about delivery, as it came. What it says is never changed, its texts are blanked with time; may arrive late, doubled, out of order, or before the message knows its id.';


-- How far retention has come. Ids rise with time, so it walks up and need not look below its bound
-- again; but what was open or locked then was passed over, so now and again it begins anew.
create table rowbell.retention (
    task        text primary key,
    done_to     bigint not null,
    began_at    timestamptz not null,
    updated_at  timestamptz not null,

    constraint task_is_known check (
        task in ('blank_messages', 'blank_receipts', 'remove_messages', 'remove_receipts')
    )
);
comment on table  rowbell.retention is 'How far the removal of old personal data and old rows has come; see [retention] of the configuration.';
comment on column rowbell.retention.task is 'blank_messages, blank_receipts, remove_messages or remove_receipts.';
comment on column rowbell.retention.done_to is 'Ids up to this one are done, but for what was open or locked then.';
comment on column rowbell.retention.began_at is 'When it last began from the first id.';
comment on column rowbell.retention.updated_at is 'When it last got further.';
