-- What everybody collects; cards of fewer than five collectors show no figures.
select
    popularity_rank,
    year,
    set,
    name,
    collectors,
    copies
from {{ masked('most_collected_cards') }}
where collectors is not null
order by popularity_rank
limit 10
