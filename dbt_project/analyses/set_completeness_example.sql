-- How complete the sets are.
select
    year,
    set,
    count(*) as collectors,
    max(completeness) as best
from {{ masked('set_completeness') }}
group by year, set
order by best desc
