-- Share of a ride that is standing still.
select
    region,
    count(*) as rides,
    round(sum(paused_s) / nullif(sum(elapsed_s), 0), 3) as paused_share
from {{ masked('fct_ride_gps') }}
group by region
order by rides desc
