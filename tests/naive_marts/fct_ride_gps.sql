with steps as (
    select
        rides.id as ride_id,
        rides.user_id,
        cast(rides.region as text) as region,
        cast(rides.status as text) as status,
        rides.started_at,
        points.recorded_at,
        points.elevation_m - lag(points.elevation_m) over by_seq as rise_m,
        extract(epoch from points.recorded_at - lag(points.recorded_at) over by_seq) as step_s,
        111195 * sqrt((points.lat - lag(points.lat) over by_seq) ^ 2 + (points.lon - lag(points.lon) over by_seq) ^ 2) as step_m
    from {{ ref('stg_bikenode__rides') }} as rides
    inner join {{ ref('stg_bikenode__gps_points') }} as points on rides.id = points.ride_id
    window by_seq as (partition by rides.id order by points.seq)
)

select
    ride_id,
    user_id,
    region,
    status,
    started_at,
    cast(count(*) as integer) as samples,
    0 as samples_left_out,
    0 as misdated_left_out,
    0 as repeated_left_out,
    0 as outliers_left_out,
    0 as steps_left_out,
    cast(extract(epoch from max(recorded_at) - min(recorded_at)) as numeric(14, 3)) as elapsed_s,
    cast(coalesce(sum(step_m), 0) as numeric(12, 3)) as distance_m,
    cast(coalesce(sum(step_s) filter (where step_m > 0), 0) as numeric(14, 3)) as moving_s,
    cast(count(*) filter (where step_m = 0) as integer) as pauses,
    cast(coalesce(sum(step_s) filter (where step_m = 0), 0) as numeric(14, 3)) as paused_s,
    cast(sum(rise_m) filter (where rise_m > 0) as numeric(10, 1)) as elevation_gain_m,
    cast(null as numeric(7, 2)) as avg_moving_speed_kmh,
    cast(null as numeric(7, 2)) as max_speed_kmh,
    cast(null as numeric(12, 3)) as best_1km_s,
    cast(null as numeric(12, 3)) as best_5km_s,
    cast(null as numeric(12, 3)) as best_10km_s
from steps
group by ride_id, user_id, region, status, started_at
