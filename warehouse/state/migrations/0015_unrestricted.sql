-- What masked views stand on where rows lead to persons: a security barrier with the rows of who is not restricted, below the
-- masks, so that these are computed of what a query asks for and not of every row (docs/adr/0021).
CREATE SCHEMA IF NOT EXISTS unrestricted;
COMMENT ON SCHEMA unrestricted IS 'Below the masked views, for nobody to read: rows but those of restricted persons.';
