"""All URLs of the API, below /api/v1/."""

from django.urls import path
from rest_framework.routers import SimpleRouter

from customers.api import capture, photos, suggestions, views

router = SimpleRouter(use_regex_path=False)
router.register("exhibitions", views.ExhibitionViewSet, "exhibition")
router.register("companies", views.CompanyViewSet, "company")
router.register("customers", views.CustomerViewSet, "customer")
router.register("visits", views.VisitViewSet, "visit")
router.register("follow-ups", views.FollowUpViewSet, "follow_up")
router.register("tags", views.TagViewSet, "tag")

urlpatterns = [
    path("visits/capture/customers/", suggestions.SuggestionsView.as_view(), name="api_capture_customers"),
    path("visits/capture/", capture.CaptureView.as_view(), name="api_capture"),
    path("customers/<uuid:public_id>/photo/", photos.PhotoView.as_view(), name="customer_photo"),
    *router.urls,
]
