"""The servicer of ProductService."""

from banyan.campaign.v1 import product_pb2, product_service_pb2_grpc
from banyan.campaign.v1 import product_service_pb2 as pb

from chassis import names, paging
from chassis.errors import not_found
from chassis.sql.engine import Database
from chassis.streams import Context
from services.campaign_svc.rpc import convert
from services.campaign_svc.store import products


class ProductServicer(product_service_pb2_grpc.ProductServiceServicer):
    def __init__(self, database: Database, paging_secret: bytes) -> None:
        self._database = database
        self._paging_secret = paging_secret

    async def GetProduct(self, request: pb.GetProductRequest, _context: Context) -> product_pb2.Product:
        product_id = names.parse_one("products", request.name)
        async with self._database.read() as tx:
            found = await products.get(tx, product_id)
        if found is None:
            raise not_found()
        return convert.product_to_wire(found)

    async def ListProducts(self, request: pb.ListProductsRequest, _context: Context) -> pb.ListProductsResponse:
        size = paging.page_size(request.page_size)
        after = paging.decode(request.page_token, request, self._paging_secret)
        async with self._database.read() as tx:
            found = await products.page(tx, request.category or None, str(after[0]) if after else None, size + 1)
        more = len(found) > size
        token = paging.encode([found[size - 1].product_id], request, self._paging_secret) if more else ""
        return pb.ListProductsResponse(
            products=[convert.product_to_wire(product) for product in found[:size]], next_page_token=token
        )
