"""The shortest useful program: a plain async function is an intent of one durable step."""


async def greet(name):
    return f"hello {name}"
