{# The model has one row for each row of another relation that meets the condition: none lost, none multiplied. #}
{% test has_the_rows_of(model, to, condition='true') %}
with counted as (
    select
        (select count(*) from {{ model }}) as here,
        (select count(*) from {{ to }} where {{ condition }}) as there
)

select *
from counted
where here <> there
{% endtest %}
