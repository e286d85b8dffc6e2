{#
  Strategy `replace`: reading only what has to be made anew. The planner takes a hundredth of a table's rows, scattered, for
  worth a scan of the whole table; here each key is looked up by itself (OFFSET keeps it from making one join of it), so
  that a refresh costs what changed whatever else there is. A model made whole reads its relations whole.
#}

{# The rows of a relation whose column is a key with a change. The column must begin an index of each partition. #}
{% macro touched_rows(relation, column) -%}
    {%- if reads_changes() -%}
        (
            select of_key.*
            from (select distinct touched.key from {{ touched_relation() }} as touched) as keys
            cross join lateral (
                select held.* from {{ relation }} as held where held.{{ column }} = keys.key offset 0
            ) as of_key
        )
    {%- else -%}
        {{ relation }}
    {%- endif -%}
{%- endmacro %}

{# To be joined: the rows of a relation with the given values of its columns, which must begin an index. #}
{% macro looked_up(relation, values) -%}
    {%- if reads_changes() -%}
        lateral (
            select held.* from {{ relation }} as held
            where {% for column, value in values.items() %}held.{{ column }} = {{ value }}{{ ' and ' if not loop.last }}{% endfor %}
            offset 0
        )
    {%- else -%}
        {{ relation }}
    {%- endif -%}
{%- endmacro %}

{# With a month as the key: the rows that lie in a month with a change; only its partitions are read. #}
{% macro in_touched_months(relation, moment) -%}
    {%- if reads_changes() -%}
        (
            select of_month.*
            from (select distinct touched.key from {{ touched_relation() }} as touched) as months
            cross join lateral (
                select held.* from {{ relation }} as held
                where
                    held.{{ moment }} >= cast(months.key as timestamp) at time zone 'UTC'
                    and held.{{ moment }} < cast(months.key + interval '1 month' as timestamp) at time zone 'UTC'
                offset 0
            ) as of_month
        )
    {%- else -%}
        {{ relation }}
    {%- endif -%}
{%- endmacro %}
