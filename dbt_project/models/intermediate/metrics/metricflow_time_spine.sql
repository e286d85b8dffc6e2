{{ config(group='metrics') }}

select cast(days.day as date) as day
from generate_series(timestamp '2015-01-01', {{ today() }} + interval '1 year', interval '1 day') as days (day)
