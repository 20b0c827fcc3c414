-- settle_attempt: writes what is known of an attempt.
--
-- What was known first stays: an attempt that already has a result other than unknown keeps it.
--
-- $1 message_id: the message
-- $2 number: the number of the attempt
-- $3 result: a word of rowbell.attempt_result
-- $4 http_status: HTTP status of the answer
-- $5 error_class: a word of rowbell.attempt_error_class
-- $6 error_code: error code of the provider
-- $7 error_text: text of the error
-- $8 provider_message_id: the id that the provider gave
-- $9 response: the answer as it came
-- $10 now: the time
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
