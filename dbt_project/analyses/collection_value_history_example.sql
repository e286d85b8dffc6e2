-- How the value of all collections went, by month of change.
select
    date_trunc('month', valid_from) as month,
    count(*) as changes,
    sum(current_value) as value
from {{ masked('collection_value_history') }}
group by date_trunc('month', valid_from)
order by month
