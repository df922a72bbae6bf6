from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("jobs", "0025_statements_at_work"),
    ]

    operations = [
        migrations.AddField(
            model_name="run",
            name="concurrency",
            field=models.JSONField(blank=True, null=True),
        ),
    ]
