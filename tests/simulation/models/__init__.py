"""Models of the services' stores: the same functions over `common.stream.memory`.

The stages run on them unchanged (`install.py` puts them in the place of the SQL). Each function
awaits one `statement` for each statement that its original sends, so that a fault can come between
any two; tests/integration/models runs both on the same calls and compares what they say.
"""
