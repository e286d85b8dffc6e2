{# The two ways in which what changed enters a model: see `changes.sql`. #}

{% macro get_incremental_add_sql(arg_dict) %}
    {%- set target = arg_dict['target_relation'] -%}
    {%- set fresh = arg_dict['temp_relation'] -%}
    {%- set keys = primary_key() -%}
    {%- set columns = arg_dict['dest_columns'] | map(attribute='name') | list -%}
    {%- if reads_changes() %}
        {%- set feed = feed_of(target) %}
        {%- if feed is not none %}
            insert into {{ feed }} (sign, {{ columns | join(', ') }})
            select 1, {{ columns | join(', ') }} from {{ fresh }};
        {%- endif %}
        merge into {{ target }} as held
        using {{ fresh }} as change
        on {% for key in keys %}held.{{ key }} = change.{{ key }}{{ ' and ' if not loop.last }}{% endfor %}
        when matched and held.source_rows + change.source_rows = 0 then delete
        when matched then update set
            {% for column in columns if column not in keys -%}
                {{ column }} = held.{{ column }} + change.{{ column }}{{ ', ' if not loop.last }}
            {%- endfor %}
        when not matched and change.source_rows <> 0 then
            insert ({{ columns | join(', ') }})
            values ({% for column in columns %}change.{{ column }}{{ ', ' if not loop.last }}{% endfor %})
    {%- else %}
        {{ delete_what_is_made_anew(target, fresh, keys[0]) }}
        insert into {{ target }} ({{ columns | join(', ') }})
        select {{ columns | join(', ') }} from {{ fresh }} where {{ is_made_anew() }}
    {%- endif %}
{% endmacro %}

{% macro get_incremental_replace_sql(arg_dict) %}
    {%- set target = arg_dict['target_relation'] -%}
    {%- set fresh = arg_dict['temp_relation'] -%}
    {%- set key = arg_dict['unique_key'] -%}
    {%- set columns = arg_dict['dest_columns'] | map(attribute='name') | join(', ') -%}
    {%- if reads_changes() %}
        {#- A row of a month that the warehouse lacks in part stays as it was: what changed is here, what it is made of is not. -#}
        {%- set gone = key ~ ' = any (array(select touched.key from ' ~ touched_relation() ~ ' as touched)) and '
            ~ is_made_anew() %}
        {%- set feed = feed_of(target) %}
        {%- if feed is not none %}
            {%- set followed_columns = model.columns.keys() | join(', ') %}
            with gone as (delete from {{ target }} where {{ gone }} returning {{ followed_columns }})
            insert into {{ feed }} (sign, {{ followed_columns }})
            select -1, {{ followed_columns }} from gone
            union all
            select 1, {{ followed_columns }} from {{ fresh }} where {{ is_made_anew() }};
        {%- else %}
            delete from {{ target }} where {{ gone }};
        {%- endif %}
        insert into {{ target }} ({{ columns }}) select {{ columns }} from {{ fresh }} where {{ is_made_anew() }}
    {%- else %}
        {{ delete_what_is_made_anew(target, fresh, key) }}
        insert into {{ target }} ({{ columns }}) select {{ columns }} from {{ fresh }} where {{ is_made_anew() }}
    {%- endif %}
{% endmacro %}

{#
  A model that is made anew as a whole keeps what the warehouse cannot tell any more: months of which rows are in the lake,
  and those before the first month that it has. A model without periods keeps keys that only the lake has.
#}
{% macro delete_what_is_made_anew(target, fresh, key) %}
    {%- set period = config.get('period') %}
    delete from {{ target }}
    {%- if period %}
        where {{ period }} >= (select min(fresh.{{ period }}) from {{ fresh }} as fresh) and {{ is_made_anew() }};
    {%- else %}
        where not exists (select 1 from {{ cold_months() }} as cold)
            or {{ key }} in (select fresh.{{ key }} from {{ fresh }} as fresh);
    {%- endif %}
{% endmacro %}

{# Whether a row is of a month that the warehouse has whole. #}
{% macro is_made_anew() -%}
    {%- if config.get('period') -%}
        platform.month_of({{ config.get('period') }}) not in (select cold.month from {{ cold_months() }} as cold (month))
    {%- else -%}
        true
    {%- endif -%}
{%- endmacro %}

{# Months of which the warehouse lacks rows that the current model is made from. #}
{% macro cold_months() -%}
    {%- set raw = [] -%}
    {%- do raw_ancestors(model, raw) -%}
    platform.cold_months(array['{{ raw | unique | sort | join("', '") }}'])
{%- endmacro %}

{# The feed of what refreshes of a model change, if anybody follows it. #}
{% macro feed_of(target) %}
    {{ return(adapter.get_relation(target.database, target.schema, target.identifier ~ '__changes')) }}
{% endmacro %}
