"""The models' replies, stored in a database, so that no call is paid for twice."""
