-- unconfirmed_any: whether there is any unconfirmed attempt about which evidence is looked for.
select exists (select from rowbell.unconfirmed_attempt as d where not d.is_late) as is_any;
