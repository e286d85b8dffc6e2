{# The day it is, in UTC: one place, so that a unit test can say which day it is. #}
{% macro today() -%}
    cast(current_timestamp at time zone 'UTC' as date)
{%- endmacro %}
