-- 20_doubted: what a request without an answer may have told.

alter table rowbell.message add column doubted_row jsonb;
comment on column rowbell.message.doubted_row is 'The row as the first attempt without an answer may have told it; JSON null: that it is gone. Null when there was none, or once blanked. While nothing later was told, a row that differs from it is told, even if it is what was told before.';
