CREATE TABLE visits (id serial PRIMARY KEY, path text NOT NULL);
