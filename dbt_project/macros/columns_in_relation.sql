{#
  Columns with their exact types. The adapter's own reads information_schema, which calls every enum USER-DEFINED and
  every array ARRAY, so that no unit test could be given rows of a table that has one.
#}
{% macro postgres__get_columns_in_relation(relation) -%}
    {% call statement('get_columns_in_relation', fetch_result=True) %}
        select
            a.attname as column_name,
            pg_catalog.format_type(a.atttypid, a.atttypmod) as data_type,
            cast(null as integer) as character_maximum_length,
            cast(null as integer) as numeric_precision,
            cast(null as integer) as numeric_scale
        from pg_catalog.pg_attribute as a
        inner join pg_catalog.pg_class as c on a.attrelid = c.oid
        where
            c.relname = '{{ relation.identifier }}'
            {% if relation.schema %}
            and c.relnamespace = (select n.oid from pg_catalog.pg_namespace as n where n.nspname = '{{ relation.schema }}')
            {% else %}
            and pg_catalog.pg_table_is_visible(c.oid)
            {% endif %}
            and c.relkind in ('r', 'v', 'm', 'f', 'p')
            and a.attnum > 0
            and not a.attisdropped
        order by a.attnum
    {% endcall %}
    {{ return(sql_convert_columns_in_relation(load_result('get_columns_in_relation').table)) }}
{%- endmacro %}
