-- Mean prices of the last months.
select
    month,
    sum(observations) as observations,
    round(sum(avg_price * observations) / nullif(sum(observations), 0), 2) as avg_price
from {{ masked('card_price_months') }}
group by month
order by month desc
limit 12
