{#
  Schema `masked`, all that analysts see: for every staging model and every mart a view of the same name and columns.

  A column whose meta says `personal: <kind>` passes through the mask of its kind (vars `masks` in dbt_project.yml); a kind without
  a mask stops the build. A mart whose rows are not persons says in its meta which figures tell of how many:
  `small_cells: {riders: [rides, distance_km]}` leaves those figures NULL where `riders` is below the variable `fewest_persons`.

  Rows of persons whose data may not be used for now (platform.restriction) are hidden by the columns that lead to a person:
  `subjects: ["bike_id -> bikes.id"]` in the meta, and a mart's person columns. The masked view then stands on one of schema
  `unrestricted` that has the rows of everybody else. This one is a security barrier, so that nothing of an analyst's query is
  computed from a row that is hidden; the masks are above it, computed of those rows alone that a query asks for.

  Each view is made by a hook within the transaction of its model, so it is there again when the model was made anew. One
  that would not change is left alone: replacing a view waits for whoever reads it.
#}

{# Hook after a staging model or a mart. #}
{% macro masked_view() %}
    {%- if execute -%}
        {%- set name = this.identifier -%}
        {%- set personal = personal_columns() -%}
        {%- set types = column_types() if personal else {} -%}
        {%- set small = small_cells() -%}
        {%- set ways = ways_to_persons() -%}
        {%- set below = 'unrestricted.' ~ adapter.quote(name) if ways else this -%}
        {%- set definition -%}
            create or replace view masked.{{ adapter.quote(name) }} as select
            {%- for column in model.columns.values() %}
                {%- set masked = masked_value(column, personal.get(column.name), types.get(column.name), small) %}
                {{ masked }} as {{ adapter.quote(column.name) }}{{ ',' if not loop.last }}
            {%- endfor %}
            from {{ below }} as unmasked
        {%- endset -%}
        {%- set comments -%}
            comment on view masked.{{ adapter.quote(name) }} is {{ literal(model.description) }};
            {%- for column in model.columns.values() %}
                {%- set mask = mask_of(personal[column.name], types.get(column.name)) if column.name in personal %}
                comment on column masked.{{ adapter.quote(name) }}.{{ adapter.quote(column.name) }} is {{ literal(
                    (column.description | trim)
                    ~ (' [masked: ' ~ personal[column.name] ~ ', ' ~ (mask if mask != 'nothing' else 'always NULL') ~ ']' if mask else '')
                    ~ (' [NULL where ' ~ small[column.name] ~ ' < ' ~ var('fewest_persons') ~ ']' if column.name in small else '')
                ) }};
            {%- endfor %}
            if exists (select from pg_roles where rolname = 'analyst') then
                grant select on masked.{{ adapter.quote(name) }} to analyst;
            end if;
        {%- endset -%}
        do $masked_view$
        begin
            {%- if ways %}
                {{ replaced('unrestricted', name, unrestricted(ways)) }}
            {%- endif %}
            {{ replaced('masked', name, definition, comments) }}
        end
        $masked_view$
    {%- endif -%}
{% endmacro %}

{# The current model's rows but for those of restricted persons. #}
{% macro unrestricted(ways) -%}
    create or replace view unrestricted.{{ adapter.quote(this.identifier) }} with (security_barrier) as select
    {%- for column in model.columns.values() %}
        unmasked.{{ adapter.quote(column.name) }}{{ ',' if not loop.last }}
    {%- endfor %}
    from {{ this }} as unmasked
    {%- for way in ways %}
        {{ 'where' if loop.first else 'and' }} {{ not_restricted(*way) }}
    {%- endfor %}
{%- endmacro %}

{# Statements of a DO block: make a view unless it is there as it would be. #}
{% macro replaced(schema, name, definition, then='') %}
    {%- set digest = local_md5(definition ~ then) -%}
            if platform.view_differs('{{ schema }}.{{ name }}', '{{ digest }}') then
                begin
                    {{ definition }};
                exception when invalid_table_definition then
                    drop view {{ schema }}.{{ adapter.quote(name) }} cascade;
                    {{ definition }};
                end;
                {{ then }}
                {{ view_recorded(schema ~ '.' ~ name, digest) }}
            end if;
{%- endmacro %}

{# Hook at the end of a run: rights for analysts, and no view without a model. #}
{% macro tidy_masked() %}
    {%- if execute and flags.WHICH in ('build', 'run') -%}
        {%- set names = [] -%}
        {%- for node in graph.nodes.values() if node.resource_type == 'model' and node.schema in ('staging', 'marts') -%}
            {%- do names.append(node.alias) -%}
        {%- endfor -%}
        do $tidy_masked$
        declare
            gone text;
        begin
            for gone in
                delete from platform.model_view as v
                where starts_with(v.name, 'masked.') and v.name not in ('masked.{{ names | join("', 'masked.") }}')
                returning split_part(v.name, '.', 2)
            loop
                execute format('drop view if exists masked.%I', gone);
            end loop;
            for gone in
                select c.relname from pg_class as c
                where c.relnamespace = 'unrestricted'::regnamespace and not exists (
                    select from pg_depend as d inner join pg_rewrite as r on d.objid = r.oid
                    where d.classid = 'pg_rewrite'::regclass and d.refclassid = 'pg_class'::regclass and d.refobjid = c.oid
                    and r.ev_class <> c.oid
                )
            loop
                execute format('drop view unrestricted.%I', gone);
                delete from platform.model_view as v where v.name = 'unrestricted.' || gone;
            end loop;
            perform platform.let_analysts_read();
        end
        $tidy_masked$
    {%- endif -%}
{% endmacro %}

{# Kind of each personal column of the current model. #}
{% macro personal_columns() %}
    {%- set kinds = {} -%}
    {%- for column in model.columns.values() -%}
        {%- set kind = (column.config.meta or {}).get('personal') or (column.meta or {}).get('personal') -%}
        {%- if kind -%}
            {%- if kind not in var('masks') -%}
                {%- do exceptions.raise_compiler_error(
                    dotted(this) ~ '.' ~ column.name ~ ' is personal of kind ' ~ kind ~ ', for which there is no mask: add '
                    ~ 'the kind to the variable `masks` in dbt_project.yml'
                ) -%}
            {%- endif -%}
            {%- do kinds.update({column.name: kind}) -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(kinds) }}
{% endmacro %}

{# The column that counts the persons behind each figure that is left out of small cells. #}
{% macro small_cells() %}
    {%- set counted_by = {} -%}
    {%- for persons, figures in ((model.config.meta or {}).get('small_cells') or {}).items() -%}
        {%- for column in [persons] + figures -%}
            {%- for name in [persons, column] if name not in model.columns -%}
                {%- do exceptions.raise_compiler_error(dotted(this) ~ ': small_cells names ' ~ name ~ ', which is no column') -%}
            {%- endfor -%}
            {%- do counted_by.update({column: persons}) -%}
        {%- endfor -%}
    {%- endfor -%}
    {{ return(counted_by) }}
{% endmacro %}

{# Columns that lead to a person, each with the table and the column whose values it has. #}
{% macro ways_to_persons() %}
    {%- set meta = model.config.meta or {} -%}
    {%- set told = (meta.get('subjects') or []) | list -%}
    {%- if model.schema == 'marts' -%}
        {%- set sources = graph.sources.values() | selectattr('schema', 'equalto', 'raw_' ~ meta['system']) | list -%}
        {%- for column, kind in personal_columns().items() if kind == 'person_id' -%}
            {%- do told.append(column ~ ' -> ' ~ sources[0].source_meta['person']) -%}
        {%- endfor -%}
    {%- endif -%}
    {%- set ways = [] -%}
    {%- for text in told -%}
        {%- set column, target = text.split(' -> ') -%}
        {%- if column not in model.columns -%}
            {%- do exceptions.raise_compiler_error(dotted(this) ~ ': subjects names ' ~ column ~ ', which is no column') -%}
        {%- endif -%}
        {%- do ways.append([column] + target.split('.')) -%}
    {%- endfor -%}
    {{ return(ways) }}
{% endmacro %}

{# Whether a row is of nobody who is restricted. As long as nobody is, no row is looked at: the first part is asked once. #}
{% macro not_restricted(column, table, to) -%}
    {%- set restricted -%}
        select from platform.restriction as r
        where r.system = '{{ model.config.meta['system'] }}' and r.table_name = '{{ table }}' and r.column_name = '{{ to }}'
    {%- endset -%}
    not (exists ({{ restricted }}) and exists ({{ restricted }} and r.value = cast(unmasked.{{ adapter.quote(column) }} as text)))
{%- endmacro %}

{% macro column_types() %}
    {%- set types = {} -%}
    {%- for column in adapter.get_columns_in_relation(this) -%}{%- do types.update({column.name: column.data_type}) -%}{%- endfor -%}
    {{ return(types) }}
{% endmacro %}

{# A column as analysts see it. #}
{% macro masked_value(column, kind, type, small) -%}
    {%- set value = 'unmasked.' ~ adapter.quote(column.name) -%}
    {%- if kind -%}
        {{ mask(value, kind, type) }}
    {%- elif column.name in small -%}
        case when unmasked.{{ adapter.quote(small[column.name]) }} >= {{ var('fewest_persons') }} then {{ value }} end
    {%- else -%}
        {{ value }}
    {%- endif -%}
{%- endmacro %}

{# The mask of a kind (vars `masks`) for values of a type: `nothing` where the mask does not know the type. #}
{% macro mask_of(kind, type) -%}
    {%- set mask = var('masks')[kind] -%}
    {%- set whole = type in ('smallint', 'integer', 'bigint') -%}
    {%- set known = {
        'pseudonym of the person': true,
        'pseudonym within the system': true,
        'pseudonym': type.startswith('text') or type.startswith('character varying') or type in ('uuid', 'bytea'),
        'about 1 km': whole or type in ('double precision', 'real') or type.startswith('numeric'),
        'year or decade': whole or type == 'date',
        'network': type == 'inet',
    } -%}
    {{ return(mask if known.get(mask) else 'nothing') }}
{%- endmacro %}

{# A value of a personal column behind the mask of its kind. #}
{% macro mask(value, kind, type) -%}
    {%- set mask = mask_of(kind, type) -%}
    {%- if mask == 'pseudonym of the person' -%}
        {{ pseudonym(model.config.meta['system'] ~ '.person', value) }}
    {%- elif mask == 'pseudonym within the system' -%}
        {{ pseudonym(model.config.meta['system'] ~ '.' ~ kind, value) }}
    {%- elif mask == 'pseudonym' -%}
        {%- if kind == 'email' -%}{{ pseudonym(kind, 'lower(btrim(' ~ value ~ '))') }}
        {%- elif kind == 'phone' -%}{{ pseudonym(kind, "regexp_replace(" ~ value ~ ", '[^0-9]', '', 'g')") }}
        {%- else -%}{{ pseudonym(kind, value) }}{%- endif -%}
    {%- elif mask == 'about 1 km' -%}
        cast(trunc(cast({{ value }} as numeric), 2) as {{ type }})
    {%- elif mask == 'year or decade' and type == 'date' -%}
        cast(date_trunc('year', {{ value }}) as date)
    {%- elif mask == 'year or decade' -%}
        cast({{ value }} / 10 * 10 as {{ type }})
    {%- elif mask == 'network' -%}
        cast(network(set_masklen({{ value }}, case family({{ value }}) when 4 then 24 else 48 end)) as inet)
    {%- else -%}
        cast(null as {{ type }})
    {%- endif -%}
{%- endmacro %}

{# HMAC-SHA256 under the platform's key, within a domain: equal values of one domain have equal pseudonyms. #}
{% macro pseudonym(domain, value) -%}
    platform.pseudonym(
        '{{ domain }}', cast({{ value }} as text),
        (select k.inner_pad from platform.masking_key as k), (select k.outer_pad from platform.masking_key as k)
    )
{%- endmacro %}

{% macro literal(text) -%}'{{ text | trim | replace("'", "''") }}'{%- endmacro %}
