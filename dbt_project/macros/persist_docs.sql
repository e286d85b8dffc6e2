{#
  Descriptions become comments (dbt's `persist_docs`), only where one changed: COMMENT waits for ANALYZE and for
  autovacuum, which a table of which a hundredth was just replaced has most of the time.
#}
{% macro postgres__persist_docs(relation, model, for_relation, for_columns) %}
    {%- set held = {} -%}
    {%- for row in run_query(
        "select '' as name, obj_description(to_regclass('" ~ dotted(relation) ~ "'), 'pg_class') as told union all"
        ~ " select attname, col_description(attrelid, attnum) from pg_attribute"
        ~ " where attrelid = to_regclass('" ~ dotted(relation) ~ "') and attnum > 0 and not attisdropped"
    ) -%}
        {%- do held.update({row[0]: row[1]}) -%}
    {%- endfor -%}
    {%- set wanted = {'': model.description} -%}
    {%- for column in model.columns.values() -%}
        {%- do wanted.update({column.name: column.description}) -%}
    {%- endfor -%}
    {%- set differing = [] -%}
    {%- for name, told in wanted.items() if held.get(name) != told -%}
        {%- do differing.append(name) -%}
    {%- endfor -%}
    {%- if differing -%}
        {%- do default__persist_docs(relation, model, for_relation, for_columns) -%}
    {%- endif -%}
{% endmacro %}
