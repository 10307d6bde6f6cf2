"""Words that the demo bank's names and products are made of."""

SURNAMES = tuple("王李张刘陈杨黄赵吴周徐孙马朱胡郭何林高罗郑梁谢宋唐许韩邓冯曹彭曾肖田董潘袁蔡蒋余于杜叶程魏苏吕丁任卢")
FEMALE_NAMES = tuple("芳娜敏静丽艳娟霞秀英玉梅兰红玲芬燕彩春菊凤洁莉桂娣云莲真环雪荣爱妹香月莺媛瑞凡佳嘉琼勤珍贞")
MALE_NAMES = tuple("伟强磊军洋勇杰涛超明刚平辉鹏华飞鑫波斌宇浩凯健俊帆帅旭宁龙林欢阳建文国栋志海峰成东亮永兴")
CITIES = ("榕城", "江北", "江南", "临溪", "云山", "海丰", "青田", "白沙", "龙湖", "安阳", "西洲", "南屏")
STREETS = (
    "中山路", "人民路", "解放路", "建设路", "和平路", "新华路", "文化路", "朝阳路", "长江路", "工业路", "学府路",
    "湖滨路", "东门", "西门", "南门", "北门", "河口", "桥头", "大市场", "科技园",
)  # fmt: skip
DISTRICTS = (
    "东城区",
    "西城区",
    "江北区",
    "江南区",
    "滨江区",
    "高新区",
    "临溪县",
    "云山县",
    "海丰县",
    "青田镇",
    "白沙镇",
    "龙湖镇",
)
OCCUPATIONS = (
    "农民", "个体工商户", "教师", "医生", "公务员", "企业职员", "工人", "司机", "学生", "退休", "工程师", "渔民",
)  # fmt: skip
COMPANY_WORDS = ("恒信", "金穗", "鸿达", "瑞丰", "华茂", "永兴", "东升", "德润", "天成", "广源", "新科", "万顺")
COMPANY_TRADES = ("农业", "水产", "纺织", "机械", "建材", "贸易", "物流", "食品", "电子", "茶业")

PRODUCTS = (
    ("mobile_bank", "手机银行", "mobile_bank"),
    ("e_bank", "网上银行", "e_bank"),
    ("sms_alert", "短信通知", "sms_alert"),
    ("quick_pay", "快捷支付", "quick_pay"),
    ("merchant", "收单商户", "merchant"),
    ("payroll", "代发工资", "payroll"),
    ("pension", "社保养老", "pension"),
    ("wealth", "理财产品", "wealth"),
    ("insurance", "代理保险", "insurance"),
    ("time_deposit", "定期存款", "deposit"),
    ("consumer_loan", "消费贷款", "loan"),
    ("mortgage", "住房按揭贷款", "loan"),
    ("business_loan", "经营贷款", "loan"),
    ("revolving_line", "循环授信", "loan"),
    ("credit_card", "贷记卡", "card"),
)
# How many of the first products customers sign up for, and how often those do for whom the product is made.
HOLDING_SHARES = (0.62, 0.25, 0.55, 0.48, 0.6, 0.35, 0.6, 0.16, 0.12)
