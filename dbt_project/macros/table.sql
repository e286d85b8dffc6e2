{#
  A table's rows are replaced in place: what differs is deleted, updated or inserted by its primary key, in one transaction.
  Readers wait for nothing and never miss it, views and grants on it stay, and its constraints (primary key, checks)
  hold at the commit: rows that break one are never published, and the last good ones stay. dbt's own `table` makes a
  second table and drops the first, with every view on it.

  Only a table whose columns, constraints or indexes changed, or one without a primary key, is made anew.
#}
{% materialization table, adapter='postgres' %}
    {%- set existing = load_cached_relation(this) -%}
    {%- set target = this.incorporate(type='table') -%}
    {%- set fresh = make_temp_relation(target) -%}
    {%- set keys = primary_key() -%}
    {%- set contract = contract_digest() -%}

    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}

    {%- set in_place = (
        keys and existing is not none and existing.is_table and not should_full_refresh() and not contract_differs()
    ) -%}
    {% do run_query(publish(contract)) %}

    {% if in_place %}
        {% do run_query(get_create_table_as_sql(True, fresh, sql)) %}
        {%- set columns = adapter.get_columns_in_relation(this) | map(attribute='name') | list -%}
        {% call statement('main') %}
            {{ replace_rows(target, fresh, keys, columns) }}
        {% endcall %}
        {% do run_query('drop table ' ~ fresh) %}
    {% else %}
        {% do drop_relation_if_exists(existing) %}
        {% call statement('main') %}
            {{ get_create_table_as_sql(False, target, sql) }}
        {% endcall %}
        {% do create_indexes(target) %}
        {% do persist_docs(target, model) %}
    {% endif %}
    {% call statement('analyze') %}analyze {{ target }}{% endcall %}

    {% do apply_grants(target, config.get('grants'), should_revoke=should_revoke(existing, full_refresh_mode=not in_place)) %}
    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {{ adapter.commit() }}
    {{ run_hooks(post_hooks, inside_transaction=False) }}

    {{ return({'relations': [target]}) }}
{% endmaterialization %}

{# The columns of the current model's primary key, as its contract has it. #}
{% macro primary_key() %}
    {%- for constraint in model.constraints if constraint.type == 'primary_key' -%}
        {{ return(constraint.columns) }}
    {%- endfor -%}
    {{ return([]) }}
{% endmacro %}

{% macro replace_rows(target, fresh, keys, columns) %}
    {%- set same -%}
        {%- for key in keys %}held.{{ key }} = fresh.{{ key }}{{ ' and ' if not loop.last }}{% endfor -%}
    {%- endset -%}
    delete from {{ target }} as held where not exists (select from {{ fresh }} as fresh where {{ same }});
    insert into {{ target }} as held ({{ columns | join(', ') }})
    select {{ columns | join(', ') }} from {{ fresh }} as fresh
    where not exists (
        select from {{ target }} as held where {{ same }} and (
            {%- for column in columns %}held.{{ column }}{{ ', ' if not loop.last }}{% endfor -%}
        ) is not distinct from (
            {%- for column in columns %}fresh.{{ column }}{{ ', ' if not loop.last }}{% endfor -%}
        )
    )
    on conflict ({{ keys | join(', ') }}) do
    {%- set rest = columns | reject('in', keys) | list %}
    {%- if rest %} update set
        {% for column in rest %}{{ column }} = excluded.{{ column }}{{ ', ' if not loop.last }}{% endfor %}
    {%- else %} nothing{% endif %}
{% endmacro %}

{# What the table's definition depends on: columns with their types, descriptions and constraints, and indexes. #}
{% macro contract_digest() %}
    {%- set parts = [config.get('indexes', []) | string, model.description, model.constraints | string] -%}
    {%- for column in model.columns.values() -%}
        {%- do parts.append([column.name, column.data_type, column.description, column.constraints | string] | string) -%}
    {%- endfor -%}
    {{ return(local_md5(parts | join('|'))) }}
{% endmacro %}

{# Whether the table as it is was made under another contract, or none that is known. #}
{% macro contract_differs() %}
    {%- set published = run_query(
        "select contract from platform.published where model = '" ~ dotted(this) ~ "'"
    ) -%}
    {{ return(published.rows | length == 0 or published.rows[0][0] != contract_digest()) }}
{% endmacro %}

{# As of when, and from which tiers, a refresh is: to be run before anything is read. #}
{% macro publish(contract) -%}
    {%- set models, raw = [], [] -%}
    {%- do parents_with_rows(model, models, raw) -%}
    select platform.publish(
        '{{ dotted(this) }}',
        cast(array[{% for name in models | unique %}'{{ name }}'{{ ', ' if not loop.last }}{% endfor %}] as text[]),
        cast(array[{% for name in raw | unique %}'{{ name }}'{{ ', ' if not loop.last }}{% endfor %}] as text[]),
        '{{ contract }}'
    );
{%- endmacro %}

{# The raw tables and the models with rows of their own from which a model reads, through views. #}
{% macro parents_with_rows(node, models, raw) %}
    {%- for unique_id in node.depends_on.nodes -%}
        {%- set parent = graph.sources.get(unique_id) or graph.nodes.get(unique_id) -%}
        {%- if parent.resource_type == 'source' -%}
            {%- do raw.append(parent.schema ~ '.' ~ parent.identifier) -%}
        {%- elif parent.config.materialized in ('view', 'ephemeral', 'snapshot') -%}
            {%- do parents_with_rows(parent, models, raw) -%}
        {%- else -%}
            {%- do models.append(parent.schema ~ '.' ~ parent.alias) -%}
        {%- endif -%}
    {%- endfor -%}
{% endmacro %}
