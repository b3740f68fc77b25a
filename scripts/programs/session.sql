-- Loads, indexes, joins, groups and updates. How much: the one row of the table "size", which is
-- there before: customers, orders.
pragma cache_size = 2000;
create table customer(id integer primary key, name text, city text);
create table orders(id integer primary key, customer int, amount real, note text);
with recursive n(i) as (select 1 union all select i + 1 from n where i < (select customers from size))
  insert into customer select i, 'customer ' || i, 'city ' || (i * 7919 % 97) from n;
with recursive n(i) as (select 1 union all select i + 1 from n where i < (select orders from size))
  insert into orders select i, i * 31 % (select customers from size) + 1, i * 17 % 1000 / 10.0,
    'order number ' || i from n;
create index by_customer on orders(customer);
select city, count(*), sum(amount), max(note) from customer c join orders o on o.customer = c.id
  group by city order by 3 desc limit 5;
update orders set note = upper(note) || ' sent' where amount > 50;
select count(distinct note), length(group_concat(substr(note, 1, 3))) from orders where id % 3 = 0;
