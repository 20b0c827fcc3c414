-- 17_late: evidence that comes after the policy of a watch has decided to keep a message for a person.

alter table rowbell.doubt
    add column is_late boolean not null default false;
comment on table  rowbell.doubt is 'Attempts that the provider may have taken, while evidence may come. A row is deleted when the matter is settled.';
comment on column rowbell.doubt.is_late is 'True once the policy of the watch has decided that a person looks: it is not asked for any more, but a receipt that comes late is still taken for what it is.';
