{# The two ways in which what changed enters a model: see `changes.sql`. #}

{% macro get_incremental_add_sql(arg_dict) %}
    {%- set target = arg_dict['target_relation'] -%}
    {%- set fresh = arg_dict['temp_relation'] -%}
    {%- set keys = primary_key() -%}
    {%- set columns = arg_dict['dest_columns'] | map(attribute='name') | list -%}
    {%- if reads_changes() %}
        {{ note_changes(target, '1', fresh) }}
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
        delete from {{ target }}
        {%- if config.get('period') %}
            where {{ config.get('period') }} >= (select min(fresh.{{ config.get('period') }}) from {{ fresh }} as fresh)
        {%- endif %};
        insert into {{ target }} ({{ columns | join(', ') }}) select {{ columns | join(', ') }} from {{ fresh }}
    {%- endif %}
{% endmacro %}

{% macro get_incremental_replace_sql(arg_dict) %}
    {%- set target = arg_dict['target_relation'] -%}
    {%- set fresh = arg_dict['temp_relation'] -%}
    {%- set key = arg_dict['unique_key'] -%}
    {%- set columns = arg_dict['dest_columns'] | map(attribute='name') | join(', ') -%}
    {%- if reads_changes() %}
        {%- set gone = key ~ ' in (select touched.key from ' ~ touched_relation() ~ ' as touched)' %}
        {{ note_changes(target, '-1', target, gone) }}
        {{ note_changes(target, '1', fresh) }}
        delete from {{ target }} where {{ gone }};
    {%- else %}
        delete from {{ target }};
    {%- endif %}
    insert into {{ target }} ({{ columns }}) select {{ columns }} from {{ fresh }}
{% endmacro %}

{# What a refresh changes is a feed for models that follow the one refreshed, if there are any. #}
{% macro note_changes(target, sign, rows, condition='true') -%}
    {%- set feed = target.incorporate(path={'identifier': target.identifier ~ '__changes'}) -%}
    {%- if adapter.get_relation(feed.database, feed.schema, feed.identifier) is not none -%}
        {%- set columns = model.columns.keys() | join(', ') -%}
        insert into {{ feed }} (sign, {{ columns }}) select {{ sign }}, {{ columns }} from {{ rows }} where {{ condition }};
    {%- endif -%}
{%- endmacro %}
