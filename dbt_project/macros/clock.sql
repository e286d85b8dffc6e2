{# The day it is, in UTC: one place, so that a unit test can say which day it is. #}
{% macro today() -%}
    cast(current_timestamp at time zone 'UTC' as date)
{%- endmacro %}

{# The moment at which it began. #}
{% macro midnight() -%}
    cast({{ today() }} as timestamp) at time zone 'UTC'
{%- endmacro %}

{# First day of the UTC month of a moment, and its UTC day. #}
{% macro month_of(moment) -%}
    cast(date_trunc('month', {{ moment }} at time zone 'UTC') as date)
{%- endmacro %}

{% macro day_of(moment) -%}
    cast({{ moment }} at time zone 'UTC' as date)
{%- endmacro %}
