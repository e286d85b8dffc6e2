{# The two ways in which what changed enters a model: see `changes.sql`. #}

{% macro get_incremental_add_sql(arg_dict) %}
    {%- set target = arg_dict['target_relation'] -%}
    {%- set fresh = arg_dict['temp_relation'] -%}
    {%- set keys = primary_key() -%}
    {%- set columns = arg_dict['dest_columns'] | map(attribute='name') | list -%}
    {%- if reads_changes() %}
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
        {%- set period = config.require('period') %}
        delete from {{ target }} where {{ period }} >= (select min({{ period }}) from {{ fresh }});
        insert into {{ target }} ({{ columns | join(', ') }}) select {{ columns | join(', ') }} from {{ fresh }}
    {%- endif %}
{% endmacro %}

{% macro get_incremental_replace_sql(arg_dict) %}
    {%- set target = arg_dict['target_relation'] -%}
    {%- set fresh = arg_dict['temp_relation'] -%}
    {%- set key = arg_dict['unique_key'] -%}
    {%- set columns = arg_dict['dest_columns'] | map(attribute='name') | join(', ') -%}
    {%- set feed = target.incorporate(path={'identifier': target.identifier ~ '__changes'}) -%}
    {%- if reads_changes() %}
        {%- set gone = key ~ ' in (select touched.key from ' ~ touched_relation() ~ ' as touched)' %}
        {%- if adapter.get_relation(feed.database, feed.schema, feed.identifier) is not none %}
            {%- set followed_columns = model.columns.keys() | join(', ') %}
            insert into {{ feed }} (sign, {{ followed_columns }})
            select -1, {{ followed_columns }} from {{ target }} where {{ gone }}
            union all
            select 1, {{ followed_columns }} from {{ fresh }};
        {%- endif %}
        delete from {{ target }} where {{ gone }};
    {%- else %}
        delete from {{ target }};
    {%- endif %}
    insert into {{ target }} ({{ columns }}) select {{ columns }} from {{ fresh }}
{% endmacro %}
