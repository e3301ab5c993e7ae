"""The sqlite3 module on a file: transactions, a rollback, an index, a backup."""
import sqlite3

db = sqlite3.connect("work.db")
db.execute("create table t(id integer primary key, name text, value real)")
for batch in range(20):
    with db:
        db.executemany(
            "insert into t(name, value) values(?, ?)",
            ((f"name {batch} {i}", i * 0.5) for i in range(500)),
        )
try:
    with db:
        db.execute("delete from t")
        raise ValueError("undo")
except ValueError as error:
    print("rolled back:", error)
db.execute("create index by_name on t(name)")
print(db.execute("select count(*), sum(value), min(name), max(name) from t").fetchone())
copy = sqlite3.connect("copy.db")
db.backup(copy)
print(copy.execute("select count(*) from t where name like 'name 7 %'").fetchone())
print(db.execute("pragma integrity_check").fetchone())
