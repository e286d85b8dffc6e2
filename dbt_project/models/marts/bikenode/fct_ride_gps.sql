{{ config(
    tags=['daily'],
    group='bikenode',
    materialized='incremental',
    incremental_strategy='replace',
    unique_key='ride_id',
    touched={'raw_bikenode.gps_points': 'ride_id', 'raw_bikenode.rides': 'id'},
    period='started_at',
    post_hook="delete from {{ this }} where started_at < platform.expired_before('raw_bikenode.rides')",
) }}

-- Faster than this in m/s nobody rides: the limit that the catalog has for rides and samples.
{% set fastest = 45 %}
-- A step that is slower than this in m/s is none; a stop of this many seconds is a pause.
{% set moving, pause_s = 0.5, 30 %}
-- Heights are the mean of the samples within so many seconds.
{% set smoothing_s = 15 %}
-- Great-circle distance in m from the sample before by the haversine formula (R. W. Sinnott, "Virtues of the
-- Haversine", Sky and Telescope 68, 1984), on a sphere of the earth's mean radius R1 (IUGG). To the micrometre, so that
-- sums are exact.
{% set step_m -%}
    case when lag(recorded_at) over by_time is not null then cast(
        2 * 6371008.8 * asin(least(1, sqrt(
            sin(radians(lat - lag(lat) over by_time) / 2) ^ 2
            + cos(radians(lag(lat) over by_time)) * cos(radians(lat)) * sin(radians(lon - lag(lon) over by_time) / 2) ^ 2
        ))) as numeric(14, 6)
    ) end
{%- endset %}
{% set step_s = 'cast(extract(epoch from recorded_at - lag(recorded_at) over by_time) as numeric(16, 6))' %}

with rides as (
    select
        id as ride_id,
        user_id,
        cast(region as text) as region,
        cast(status as text) as status,
        started_at,
        ended_at
    from {{ ref('stg_bikenode__rides') }}
    where {{ only_touched('id') }}
),

points as (
    select * from {{ ref('stg_bikenode__gps_points') }}
    where {{ only_touched('ride_id') }}
),

-- Clocks of devices go wrong by years, and an upload repeats what it sent before.
sampled as (
    select
        rides.ride_id,
        points.seq,
        points.recorded_at,
        points.lat,
        points.lon,
        cast(points.elevation_m as numeric(10, 3)) as elevation_m,
        points.recorded_at < rides.started_at - interval '1 day'
        or points.recorded_at > coalesce(rides.ended_at, 'infinity') + interval '1 day' as is_misdated,
        row_number() over (partition by rides.ride_id, points.recorded_at order by points.seq) > 1 as is_repeated
    from rides
    inner join points on rides.ride_id = points.ride_id
),

judged as (
    select
        *,
        {{ step_m }} / {{ step_s }} > {{ fastest }} as is_jump
    from sampled
    where not is_misdated and not is_repeated
    window by_time as (partition by ride_id order by recorded_at)
),

-- A sample that is reached and left by a jump is an outlier; what remains is ridden from one to the next.
neighboured as (
    select
        *,
        coalesce(is_jump and lead(is_jump) over (partition by ride_id order by recorded_at), false) as is_outlier
    from judged
),

kept as (
    select
        ride_id,
        recorded_at,
        elevation_m,
        {{ step_m }} as step_m,
        {{ step_s }} as step_s
    from neighboured
    where not is_outlier
    window by_time as (partition by ride_id order by recorded_at)
),

stepped as (
    select
        ride_id,
        recorded_at,
        step_m,
        step_s,
        coalesce(step_m / step_s > {{ fastest }}, false) as is_left_out,
        coalesce(step_m / step_s between {{ moving }} and {{ fastest }}, false) as is_moving
    from kept
),

-- Between two steps of one stop nothing else happens: they have the same number of other steps before them.
covered as (
    select
        *,
        step_s is not null and not is_left_out and not is_moving as is_stopped,
        count(*) filter (where step_s is null or is_left_out or is_moving) over by_time as stop_number,
        coalesce(sum(step_m) filter (where not is_left_out) over by_time, 0) as covered_m
    from stepped
    window by_time as (partition by ride_id order by recorded_at)
),

stops as (
    select
        ride_id,
        sum(step_s) as stopped_s
    from covered
    where is_stopped
    group by ride_id, stop_number
),

pauses as (
    select
        ride_id,
        count(*) as pauses,
        sum(stopped_s) as paused_s
    from stops
    where stopped_s >= {{ pause_s }}
    group by ride_id
),

smoothed as (
    select
        ride_id,
        recorded_at,
        avg(elevation_m) over (
            partition by ride_id order by recorded_at
            range between interval '{{ smoothing_s }} seconds' preceding
            and interval '{{ smoothing_s }} seconds' following
        ) as elevation_m
    from kept
    where elevation_m is not null
),

risen as (
    select
        ride_id,
        elevation_m - lag(elevation_m) over (partition by ride_id order by recorded_at) as rise_m
    from smoothed
),

climbs as (
    select
        ride_id,
        coalesce(sum(rise_m) filter (where rise_m > 0), 0) as elevation_gain_m
    from risen
    group by ride_id
),

-- The time since the latest sample that lies so far back, at every sample.
split as (
    select
        *,
        recorded_at - max(recorded_at) over (
            partition by ride_id order by covered_m range between unbounded preceding and 1000 preceding
        ) as split_1km,
        recorded_at - max(recorded_at) over (
            partition by ride_id order by covered_m range between unbounded preceding and 5000 preceding
        ) as split_5km,
        recorded_at - max(recorded_at) over (
            partition by ride_id order by covered_m range between unbounded preceding and 10000 preceding
        ) as split_10km
    from covered
),

measured as (
    select
        ride_id,
        extract(epoch from max(recorded_at) - min(recorded_at)) as elapsed_s,
        coalesce(sum(step_m) filter (where not is_left_out), 0) as distance_m,
        count(*) filter (where is_left_out) as steps_left_out,
        coalesce(sum(step_s) filter (where is_moving), 0) as moving_s,
        sum(step_m) filter (where is_moving) / sum(step_s) filter (where is_moving) as avg_moving_mps,
        max(step_m / step_s) filter (where not is_left_out) as max_mps,
        extract(epoch from min(split_1km)) as best_1km_s,
        extract(epoch from min(split_5km)) as best_5km_s,
        extract(epoch from min(split_10km)) as best_10km_s
    from split
    group by ride_id
),

counted as (
    select
        ride_id,
        count(*) as samples,
        count(*) filter (where is_misdated) as misdated_left_out,
        count(*) filter (where is_repeated and not is_misdated) as repeated_left_out
    from sampled
    group by ride_id
),

outliers as (
    select
        ride_id,
        count(*) as outliers_left_out
    from neighboured
    where is_outlier
    group by ride_id
)

select
    rides.ride_id,
    rides.user_id,
    rides.region,
    rides.status,
    rides.started_at,
    cast(counted.samples as integer) as samples,
    cast(
        counted.misdated_left_out + counted.repeated_left_out + coalesce(outliers.outliers_left_out, 0) as integer
    ) as samples_left_out,
    cast(counted.misdated_left_out as integer) as misdated_left_out,
    cast(counted.repeated_left_out as integer) as repeated_left_out,
    cast(coalesce(outliers.outliers_left_out, 0) as integer) as outliers_left_out,
    cast(coalesce(measured.steps_left_out, 0) as integer) as steps_left_out,
    cast(coalesce(measured.elapsed_s, 0) as numeric(14, 3)) as elapsed_s,
    cast(coalesce(measured.distance_m, 0) as numeric(12, 3)) as distance_m,
    cast(coalesce(measured.moving_s, 0) as numeric(14, 3)) as moving_s,
    cast(coalesce(pauses.pauses, 0) as integer) as pauses,
    cast(coalesce(pauses.paused_s, 0) as numeric(14, 3)) as paused_s,
    cast(climbs.elevation_gain_m as numeric(10, 1)) as elevation_gain_m,
    cast(measured.avg_moving_mps * 3.6 as numeric(7, 2)) as avg_moving_speed_kmh,
    cast(measured.max_mps * 3.6 as numeric(7, 2)) as max_speed_kmh,
    cast(measured.best_1km_s as numeric(12, 3)) as best_1km_s,
    cast(measured.best_5km_s as numeric(12, 3)) as best_5km_s,
    cast(measured.best_10km_s as numeric(12, 3)) as best_10km_s
from rides
inner join counted on rides.ride_id = counted.ride_id
left join outliers on rides.ride_id = outliers.ride_id
left join measured on rides.ride_id = measured.ride_id
left join pauses on rides.ride_id = pauses.ride_id
left join climbs on rides.ride_id = climbs.ride_id
