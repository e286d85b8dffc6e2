{# A condition over the columns of a row; a row of which it is false fails (NULL passes, as in a CHECK constraint). #}
{% test is_true_of_rows(model, condition) %}
select *
from {{ model }}
where not ({{ condition }})
{% endtest %}
