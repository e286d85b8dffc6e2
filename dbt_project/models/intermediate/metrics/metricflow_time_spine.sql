{{ config(group='metrics') }}

with months as (
    {% for sums in (
        'int_rider_months', 'int_shop_months', 'int_throttlecove_rider_months', 'int_bikenode_rider_months',
        'int_card_price_months'
    ) %}
        select month from {{ ref(sums) }}
        {{ 'union all' if not loop.last }}
    {% endfor %}
)

select cast(moment as date) as day
from generate_series((select min(month) from months), {{ today() }} + interval '1 year', interval '1 day') as moment
