-- unconfirmed_any: reads whether there is any unconfirmed attempt about which evidence is looked for.
select exists (select from rowbell.unconfirmed_attempt as u where not u.is_late) as is_any;
