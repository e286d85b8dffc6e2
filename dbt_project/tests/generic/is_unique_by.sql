{# No two rows agree in all the named columns; two NULLs agree. #}
{% test is_unique_by(model, columns) %}
select
    {{ columns | join(', ') }},
    count(*) as copies
from {{ model }}
group by {{ columns | join(', ') }}
having count(*) > 1
{% endtest %}
