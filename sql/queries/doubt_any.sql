-- doubt_any: whether any request is in doubt.
select exists (select from rowbell.doubt) as is_any;
