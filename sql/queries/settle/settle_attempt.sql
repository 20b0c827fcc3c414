-- settle_attempt: what is known of attempt $2 of message $1; $10 the time.
--
-- What was known first stays: an attempt that already has a result other than unknown keeps it.
update rowbell.attempt
   set result              = $3::text::rowbell.attempt_result,
       http_status         = $4,
       error_class         = $5::text::rowbell.attempt_error_class,
       error_code          = $6,
       error_text          = $7,
       provider_message_id = $8,
       response            = $9,
       finished_at         = $10
 where message_id = $1
   and number = $2
   and (result is null or result = 'unknown');
