"""placeholder"""
class Links:
    def __init__(self,*a): self.count=0
    async def start(self): pass
    async def stop(self): pass
    def send(self,c,m): pass
    def close(self,c,r): pass
    def change_membership(self,m): pass
