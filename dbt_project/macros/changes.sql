{#
  Models that are refreshed by what changed (docs/adr/0009).

  `add`: a model of sums and counts. It reads `signed(relation)`, whose column `sign` is +1 for a row that came and -1 for
  one that went, and sums `sign * measure`; the same SQL builds it whole (every row, sign +1) and by change. Its
  columns beside the primary key are all sums, one of them `source_rows`, the rows behind the cell: a cell without rows goes.

  `replace`: a model of rows made anew by key, its `unique_key`. Config `touched` names the relations it follows and their column that
  is the key (or SQL over `changed.<column>`); `only_touched(column)` restricts the SQL to keys with a change. What it
  replaces is a feed for others.

  Which changes were read commits with the rows. A model reads its relations whole when it is new, when a feed began anew,
  and with `--vars 'whole: true'`; it is then put in place of what it had, but for months of which rows have left the
  warehouse: those remain as they were.
#}

{# The relations that the current model follows, as schema.name. #}
{% macro followed() %}
    {%- set names = [] -%}
    {%- if model.config.materialized == 'incremental' and execute -%}
        {%- if config.get('touched') -%}
            {%- for name in config.get('touched') -%}{%- do names.append(name) -%}{%- endfor -%}
        {%- elif config.get('incremental_strategy') == 'add' -%}
            {%- for node in model.depends_on.nodes -%}
                {%- set parent = graph.sources.get(node) or graph.nodes.get(node) -%}
                {%- if parent.resource_type == 'source' -%}
                    {%- do names.append(parent.schema ~ '.' ~ parent.identifier) -%}
                {%- elif parent.config.incremental_strategy in ('add', 'replace') -%}
                    {%- do names.append(parent.schema ~ '.' ~ parent.alias) -%}
                {%- endif -%}
            {%- endfor -%}
        {%- endif -%}
    {%- endif -%}
    {{ return(names | sort) }}
{% endmacro %}

{# schema.name of a relation, as the platform's tables have it. #}
{% macro dotted(relation) %}{{ return(relation.schema ~ '.' ~ relation.identifier) }}{% endmacro %}

{# Whether the current model reads changes now, rather than relations whole. #}
{% macro reads_changes() %}
    {%- if not execute or this is none or not is_incremental() or var('whole', false) -%}{{ return(false) }}{%- endif -%}
    {%- set known = run_query(
        "select count(*) from platform.change_reader where reader = '" ~ dotted(this) ~ "' and position is not null"
        ~ " and relation in ('" ~ (followed() | join("', '")) ~ "')"
    ) -%}
    {{ return(known.rows[0][0] == (followed() | length)) }}
{% endmacro %}

{# The changes of a relation that this refresh reads. #}
{% macro changes_read(relation) -%}
    select feed.*
    from {{ relation.incorporate(path={'identifier': relation.identifier ~ '__changes'}) }} as feed
    where
        feed.change > (
            select r.position from platform.change_reader as r
            where r.reader = '{{ dotted(this) }}' and r.relation = '{{ dotted(relation) }}'
        )
        and feed.change <= (
            select r.upto from platform.change_reader as r
            where r.reader = '{{ dotted(this) }}' and r.relation = '{{ dotted(relation) }}'
        )
{%- endmacro %}

{# Strategy `add`: rows of a relation with their sign. #}
{% macro signed(relation) -%}
    {%- if reads_changes() -%}
        ({{ changes_read(relation) }})
    {%- else -%}
        (select *, cast(1 as smallint) as sign from {{ relation }})
    {%- endif -%}
{%- endmacro %}

{# Strategy `replace`: a condition that restricts rows to keys with a change. #}
{% macro only_touched(column) -%}
    {%- if reads_changes() -%}
        {{ column }} in (select touched.key from {{ touched_relation() }} as touched)
    {%- else -%}
        true
    {%- endif -%}
{%- endmacro %}

{% macro touched_relation() -%}pg_temp.{{ this.identifier }}__touched{%- endmacro %}

{# Hook before a model, within its transaction. #}
{% macro open_changes() %}
    {%- if execute and followed() -%}
        {%- set by_change = reads_changes() -%}
        {%- do refuse_to_forget() -%}
        {{ hold_constraints() }}
        {{ publish(contract_digest()) }}
        select pg_advisory_xact_lock(platform.feed_lock('{{ dotted(this) }}'));
        {%- for name in followed() %}
            select platform.open_changes('{{ dotted(this) }}', '{{ name }}', {{ by_change }});
        {%- endfor -%}
        {%- if by_change and config.get('touched') %}
            create temporary table {{ this.identifier }}__touched on commit drop as
            {% for name, column in config.get('touched').items() -%}
                {%- set relation = api.Relation.create(schema=name.split('.')[0], identifier=name.split('.')[1]) -%}
                select {{ '' if 'changed.' in column else 'changed.' }}{{ column }} as key from ({{ changes_read(relation) }}) as changed
                {{ 'union' if not loop.last }}
            {% endfor %};
            analyze {{ this.identifier }}__touched;
        {%- endif -%}
    {%- endif -%}
{% endmacro %}

{#
  A contract that changed comes to hold of a table that is refreshed by changes, its old rows included: its NOT NULL and
  CHECK constraints are put in place of those that it had. Rows that break one fail the refresh, which changes nothing.
#}
{% macro hold_constraints() %}
    {%- set existing = load_cached_relation(this) -%}
    {%- if existing is not none and existing.is_table and not should_full_refresh() and contract_differs() -%}
        {%- set held = run_query(
            "select quote_ident(conname) from pg_constraint where contype = 'c' and conrelid = to_regclass('"
            ~ dotted(this) ~ "')"
        ).columns[0].values() -%}
        {%- set changes = [] -%}
        {%- for name in held -%}{%- do changes.append('drop constraint ' ~ name) -%}{%- endfor -%}
        {%- set there = adapter.get_columns_in_relation(existing) | map(attribute='name') | list -%}
        {%- for column in model.columns.values() -%}
            {%- set types = column.constraints | map(attribute='type') | list -%}
            {%- if column.name in there -%}
                {%- set verb = 'set' if 'not_null' in types or column.name in primary_key() else 'drop' -%}
                {%- do changes.append('alter column ' ~ adapter.quote(column.name) ~ ' ' ~ verb ~ ' not null') -%}
            {%- endif -%}
        {%- endfor -%}
        {%- for constraint in model.constraints + (model.columns.values() | map(attribute='constraints') | sum(start=[])) -%}
            {%- if constraint.type == 'check' -%}
                {%- do changes.append('add check (' ~ constraint.expression ~ ')') -%}
            {%- endif -%}
        {%- endfor -%}
        {%- if changes %}
        alter table {{ this }} {{ changes | join(', ') }};
        {%- endif -%}
    {%- endif -%}
{% endmacro %}

{# `--full-refresh` drops a model: not where it holds months whose rows have left the warehouse. #}
{% macro refuse_to_forget() %}
    {%- if should_full_refresh() and load_cached_relation(this) is not none -%}
        {%- set raw = [] -%}
        {%- do raw_ancestors(model, raw) -%}
        {%- set left = run_query(
            "select distinct system || '.' || table_name from platform.raw_content where tier <> 'warehouse'"
            ~ " and 'raw_' || system || '.' || table_name in ('" ~ (raw | unique | join("', '")) ~ "')"
        ) -%}
        {%- if left.rows -%}
            {%- do exceptions.raise_compiler_error(
                dotted(this) ~ ' holds months of ' ~ (left.columns[0].values() | join(', ')) ~ ' whose rows have left the '
                ~ "warehouse; --full-refresh would lose them. Build it with --vars 'whole: true', which keeps them."
            ) -%}
        {%- endif -%}
    {%- endif -%}
{% endmacro %}

{# Every raw table that a model is made from, however far up. #}
{% macro raw_ancestors(node, raw) %}
    {%- for unique_id in node.depends_on.nodes -%}
        {%- set source = graph.sources.get(unique_id) -%}
        {%- if source -%}
            {%- do raw.append(source.schema ~ '.' ~ source.identifier) -%}
        {%- else -%}
            {%- do raw_ancestors(graph.nodes.get(unique_id), raw) -%}
        {%- endif -%}
    {%- endfor -%}
{% endmacro %}

{# Hook after a model, within its transaction. #}
{% macro close_changes() %}
    {%- if execute and followed() -%}
        select platform.declare_feed('{{ dotted(this) }}', array['{{ model.columns.keys() | join("', '") }}']);
        {%- if not reads_changes() %}
            select platform.reset_readers('{{ dotted(this) }}');
        {%- endif %}
        select platform.close_changes('{{ dotted(this) }}');
        {%- if not reads_changes() %}
            analyze {{ this }};
        {%- endif -%}
    {%- endif -%}
{% endmacro %}
