-- doubt_any: whether any request is in doubt for which evidence is sought.
select exists (select from rowbell.doubt as d where not d.is_late) as is_any;
