{#
  Views are replaced in place. dbt's own materialisation makes a second view, swaps the names and drops the old view with
  CASCADE, and with it every view that another model or the `masked` schema built on it. Here only a view whose columns
  went away or changed their type is dropped and made anew: PostgreSQL refuses to replace it (42P16). One whose query is
  what it was is left alone: replacing a view waits for whoever reads it.
#}
{% materialization view, adapter='postgres' %}
    {%- set existing = load_cached_relation(this) -%}
    {%- set target = this.incorporate(type='view') -%}

    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {% if existing is not none and not existing.is_view %}
        {{ drop_relation_if_exists(existing) }}
    {% endif %}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}

    {% call statement('main') %}
        do $replace_view$
        begin
            if not platform.view_differs('{{ dotted(target) }}', '{{ local_md5(sql) }}') then
                return;
            end if;
            begin
                create or replace view {{ target }} as
                {{ sql }};
            exception when invalid_table_definition then
                drop view {{ target }} cascade;
                create view {{ target }} as
                {{ sql }};
            end;
            {{ view_recorded(dotted(target), local_md5(sql)) }}
        end
        $replace_view$
    {% endcall %}

    {% do apply_grants(target, config.get('grants'), should_revoke=should_revoke(existing, full_refresh_mode=False)) %}
    {% do persist_docs(target, model) %}
    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {{ adapter.commit() }}
    {{ run_hooks(post_hooks, inside_transaction=False) }}

    {{ return({'relations': [target]}) }}
{% endmaterialization %}

{# The statement, within the DO block that made a view (schema.name), that remembers the digest of its query. #}
{% macro view_recorded(name, query) -%}
    insert into platform.model_view (name, query, held)
    values ('{{ name }}', '{{ query }}', md5(pg_get_viewdef(to_regclass('{{ name }}'))))
    on conflict (name) do update set query = excluded.query, held = excluded.held;
{%- endmacro %}
