{# A model as analysts name it, in the example queries of `analyses`; lineage knows of it. #}
{% macro masked(name) -%}
    {%- do ref(name) -%}
    masked.{{ name }}
{%- endmacro %}
