-- shop: a multi-vendor shop. Services: vendors (shops, catalogue), customers, checkout (orders, payments), reviews.
--
-- What belongs here: the tables, types, constraints and indexes of the operational database, as its own engineers
-- keep them. What does not: rows (data.sql), monthly partitions (made by the runner, because history ends today) and
-- what a column means to an analyst (the catalog).
--
-- Ids are uuids made by the services. Shard key, if ever: shop_id.

CREATE TYPE vendor_status AS ENUM ('onboarding', 'active', 'suspended', 'left');
CREATE TYPE shop_status AS ENUM ('open', 'paused', 'closed');
CREATE TYPE order_status AS ENUM (
    'created', 'approved', 'invoiced', 'processing', 'shipped', 'delivered', 'unavailable', 'canceled'
);
CREATE TYPE payment_method AS ENUM ('credit_card', 'debit_card', 'bank_slip', 'instant_transfer', 'voucher', 'wallet');
CREATE TYPE payment_status AS ENUM ('authorized', 'captured', 'refunded', 'failed');

-- ---------------------------------------------------------------------------------------------- sellers

CREATE TABLE vendors (
    id               uuid PRIMARY KEY,
    legal_name       text NOT NULL,
    contact_name     text NOT NULL,
    email            text NOT NULL CHECK (email LIKE '_%@_%'),
    phone            text CHECK (phone ~ '^\+[1-9][0-9]{7,14}$'),
    tax_id           text,
    payout_account   text,
    country          char(2) NOT NULL CHECK (country = upper(country)),
    commission_rate  numeric(5,4) NOT NULL CHECK (commission_rate BETWEEN 0 AND 1),
    status           vendor_status NOT NULL DEFAULT 'onboarding',
    created_at       timestamptz NOT NULL DEFAULT now(),
    updated_at       timestamptz NOT NULL DEFAULT now(),
    CHECK (updated_at >= created_at)
);
CREATE UNIQUE INDEX vendors_email_key ON vendors (lower(email));

CREATE TABLE shops (
    id           uuid PRIMARY KEY,
    vendor_id    uuid NOT NULL REFERENCES vendors,
    name         text NOT NULL,
    slug         text NOT NULL UNIQUE CHECK (slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$'),
    status       shop_status NOT NULL DEFAULT 'open',
    zip_prefix   text,
    city         text,
    state        text,
    country      char(2) NOT NULL CHECK (country = upper(country)),
    settings     jsonb NOT NULL DEFAULT '{}',
    created_at   timestamptz NOT NULL DEFAULT now(),
    updated_at   timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX shops_vendor_idx ON shops (vendor_id) INCLUDE (name) WHERE status = 'open';
CREATE INDEX shops_vendor_all_idx ON shops (vendor_id);

CREATE TABLE products (
    id                  uuid PRIMARY KEY,
    -- The shop that listed it; NULL for an article that several shops sell.
    shop_id             uuid REFERENCES shops ON DELETE SET NULL,
    name                text NOT NULL,
    category            text,
    list_price          numeric(12,2) CHECK (list_price >= 0),
    currency            char(3) NOT NULL,
    name_length         integer CHECK (name_length >= 0),
    description_length  integer CHECK (description_length >= 0),
    photos_qty          integer CHECK (photos_qty >= 0),
    weight_g            integer CHECK (weight_g >= 0),
    length_cm           integer CHECK (length_cm >= 0),
    height_cm           integer CHECK (height_cm >= 0),
    width_cm            integer CHECK (width_cm >= 0),
    tags                text[] NOT NULL DEFAULT '{}',
    is_active           boolean NOT NULL DEFAULT true,
    created_at          timestamptz NOT NULL DEFAULT now(),
    updated_at          timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX products_shop_idx ON products (shop_id);
CREATE INDEX products_category_idx ON products (category) WHERE is_active;
CREATE INDEX products_tags_idx ON products USING gin (tags);
CREATE INDEX products_updated_at_idx ON products (updated_at);

-- ---------------------------------------------------------------------------------------------- buyers

-- A guest checkout makes a new customer row; unique_id says that several rows are one person, so neither it nor the
-- email is unique.
CREATE TABLE customers (
    id                uuid PRIMARY KEY,
    unique_id         uuid NOT NULL,
    name              text NOT NULL,
    email             text NOT NULL CHECK (email LIKE '_%@_%'),
    phone             text CHECK (phone ~ '^\+[1-9][0-9]{7,14}$'),
    zip_prefix        text,
    city              text,
    state             text,
    country           char(2) NOT NULL CHECK (country = upper(country)),
    marketing_opt_in  boolean NOT NULL DEFAULT false,
    last_ip           inet,
    created_at        timestamptz NOT NULL DEFAULT now(),
    updated_at        timestamptz NOT NULL DEFAULT now(),
    CHECK (updated_at >= created_at)
);
CREATE INDEX customers_unique_id_idx ON customers (unique_id);
CREATE INDEX customers_email_idx ON customers (lower(email));
CREATE INDEX customers_updated_at_idx ON customers (updated_at);

-- ---------------------------------------------------------------------------------------------- orders

-- Partitioned by month (UTC) of the purchase. total_amount is price and freight of the items, 0 without items.
CREATE TABLE orders (
    id                     uuid NOT NULL,
    customer_id            uuid REFERENCES customers ON DELETE SET NULL,
    status                 order_status NOT NULL DEFAULT 'created',
    total_amount           numeric(12,2) NOT NULL DEFAULT 0 CHECK (total_amount >= 0),
    currency               char(3) NOT NULL,
    created_at             timestamptz NOT NULL DEFAULT now(),
    approved_at            timestamptz,
    shipped_at             timestamptz,
    delivered_at           timestamptz,
    estimated_delivery_at  timestamptz,
    updated_at             timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (id, created_at),
    CHECK (delivered_at >= created_at)
) PARTITION BY RANGE (created_at);
CREATE INDEX orders_customer_idx ON orders (customer_id, created_at DESC);
CREATE INDEX orders_delivered_idx ON orders (created_at) INCLUDE (id, delivered_at) WHERE status = 'delivered';
CREATE INDEX orders_open_idx ON orders (status, created_at) WHERE status NOT IN ('delivered', 'canceled');
CREATE INDEX orders_created_at_idx ON orders USING brin (created_at);

-- No foreign key to orders, here, in payments and in reviews: it would have to carry the partition column, and a
-- partition that a foreign key references cannot be detached. Checkout writes order and items in one transaction;
-- order_created_at lets a join prune the partitions.
CREATE TABLE order_items (
    order_id           uuid NOT NULL,
    item_no            smallint NOT NULL CHECK (item_no > 0),
    order_created_at   timestamptz NOT NULL,
    shop_id            uuid NOT NULL REFERENCES shops,
    product_id         uuid NOT NULL REFERENCES products,
    quantity           integer NOT NULL DEFAULT 1 CHECK (quantity > 0),
    unit_price         numeric(12,2) NOT NULL CHECK (unit_price >= 0),
    freight            numeric(10,2) NOT NULL DEFAULT 0 CHECK (freight >= 0),
    shipping_limit_at  timestamptz,
    created_at         timestamptz NOT NULL DEFAULT now(),
    updated_at         timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (order_id, item_no)
);
-- The vendor's dashboard reads this index alone.
CREATE INDEX order_items_shop_idx ON order_items (shop_id, order_created_at DESC)
    INCLUDE (order_id, product_id, quantity, unit_price, freight);
CREATE INDEX order_items_product_idx ON order_items (product_id);
CREATE INDEX order_items_updated_at_idx ON order_items (updated_at);

-- Kept by law when a customer is erased, under a pseudonym: no foreign key to customers.
CREATE TABLE payments (
    id            bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    order_id      uuid NOT NULL,
    customer_id   uuid NOT NULL,
    method        payment_method NOT NULL,
    status        payment_status NOT NULL,
    amount        numeric(12,2) NOT NULL CHECK (amount >= 0),
    currency      char(3) NOT NULL,
    installments  smallint NOT NULL DEFAULT 1 CHECK (installments BETWEEN 1 AND 36),
    payer_name    text,
    payer_tax_id  text,
    card_last4    text CHECK (card_last4 ~ '^[0-9]{4}$'),
    provider_ref  text NOT NULL UNIQUE,
    created_at    timestamptz NOT NULL DEFAULT now(),
    captured_at   timestamptz,
    updated_at    timestamptz NOT NULL DEFAULT now(),
    CHECK (captured_at >= created_at)
);
CREATE INDEX payments_order_idx ON payments (order_id);
CREATE INDEX payments_customer_idx ON payments (customer_id, created_at DESC);
CREATE INDEX payments_unsettled_idx ON payments (created_at) WHERE status = 'authorized';
CREATE INDEX payments_updated_at_idx ON payments (updated_at);

CREATE TABLE reviews (
    id           bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    order_id     uuid NOT NULL,
    shop_id      uuid NOT NULL REFERENCES shops,
    product_id   uuid NOT NULL REFERENCES products,
    customer_id  uuid NOT NULL REFERENCES customers ON DELETE CASCADE,
    rating       smallint NOT NULL CHECK (rating BETWEEN 1 AND 5),
    title        text,
    body         text,
    reply        text,
    is_hidden    boolean NOT NULL DEFAULT false,
    created_at   timestamptz NOT NULL DEFAULT now(),
    updated_at   timestamptz NOT NULL DEFAULT now(),
    UNIQUE (order_id, product_id, shop_id)
);
CREATE INDEX reviews_shop_idx ON reviews (shop_id) INCLUDE (rating) WHERE NOT is_hidden;
CREATE INDEX reviews_customer_idx ON reviews (customer_id);
CREATE INDEX reviews_product_idx ON reviews (product_id);
CREATE INDEX reviews_updated_at_idx ON reviews (updated_at);
