{#
  Strategy `replace` with a month as its key: the rows of a relation that lie in a month with a change. Each month is
  looked up by itself (OFFSET keeps the planner from making one join of it), so that only its partitions are read.
#}
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
