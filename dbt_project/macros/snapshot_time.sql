{# Snapshots tell moments as moments: dbt's own is the wall time of whatever zone the session has. #}
{% macro postgres__snapshot_get_time() -%}
    current_timestamp
{%- endmacro %}
