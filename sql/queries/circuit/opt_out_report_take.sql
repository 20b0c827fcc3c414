-- opt_out_report_take: writes the opt-outs that were reported long enough ago to be believed.
--
-- Returns the channels with so many reports that none is believed. Who opted out before keeps the reason of then.
--
-- $1 until: reports up to this time are believed
-- $2 too_many: so many reports on one channel are not
-- $3 reason: what the provider says
with too_many as (
    select r.channel, count(*) as reports
      from rowbell.opt_out_report as r
     group by r.channel
    having count(*) >= $2 and min(r.reported_at) <= $1
), taken as (
    delete from rowbell.opt_out_report as r
     where r.reported_at <= $1
        or r.channel in (select t.channel from too_many as t)
 returning r.message_id, r.channel, r.reported_at
), believed as (
    insert into rowbell.opt_out (phone, since, reason, source, origin)
    select m.recipient_phone, min(t.reported_at), $3, 'provider'::rowbell.opt_out_source, 'channel ' || min(t.channel)
      from taken as t
      join rowbell.message as m using (message_id)
     where t.channel not in (select t.channel from too_many as t)
       and m.recipient_phone is not null
     group by m.recipient_phone
        on conflict (phone, scope) do nothing
)
select t.channel, t.reports from too_many as t order by t.channel;
