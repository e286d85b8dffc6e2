-- The most valuable collections.
select
    collection_id,
    total_items,
    current_value,
    items_with_value
from {{ masked('collection_value') }}
order by current_value desc
limit 10
